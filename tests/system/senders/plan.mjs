// What every Node sender sends: N tracks of both events, identify and group between.
// argv: base URL, write key, N, and how many of them a second; without that, at once.
// Prints, as JSON, the user ids that it believes delivered.

import { setTimeout as pause } from "node:timers/promises";

export const [base, key, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const rate = Number(process.argv[5] ?? Infinity);

export async function* calls() {
  const began = performance.now();
  for (let i = 0; i < count; i += 1) {
    const early = began + (1000 * i) / rate - performance.now();
    if (early > 0) await pause(early);
    const userId = `user-${i}`;
    if (i % 5 === 0) yield { call: "identify", userId, traits: { plan: "pro" } };
    if (i % 7 === 0) yield { call: "group", userId, groupId: `account-${i}` };
    const signedUp = i % 2 === 0;
    yield {
      call: "track",
      userId,
      event: signedUp ? "signed_up" : "account_added_user",
      properties: signedUp
        ? { email: `${userId}@example.com`, name: `User ${i}` }
        : { user_role: "Viewer", user_name: `User ${i}`, user_email: `${userId}@example.com` },
      context: signedUp ? {} : { groupId: `account-${i}` },
      timestamp: new Date(Date.UTC(2026, 0, 1, 0, 0, 0, i)),
    };
  }
}

export function report(delivered) {
  process.stdout.write(JSON.stringify({ delivered: delivered.sort() }));
}
