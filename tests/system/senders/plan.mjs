// What every Node sender sends: N tracks of both events, identify and group between.
// argv: base URL, write key, N. Prints, as JSON, the user ids that it believes delivered.

export const [base, key, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];

export function calls() {
  const planned = [];
  for (let i = 0; i < count; i += 1) {
    const userId = `user-${i}`;
    if (i % 5 === 0) planned.push({ call: "identify", userId, traits: { plan: "pro" } });
    if (i % 7 === 0) planned.push({ call: "group", userId, groupId: `account-${i}` });
    const signedUp = i % 2 === 0;
    planned.push({
      call: "track",
      userId,
      event: signedUp ? "signed_up" : "account_added_user",
      properties: signedUp
        ? { email: `${userId}@example.com`, name: `User ${i}` }
        : { user_role: "Viewer", user_name: `User ${i}`, user_email: `${userId}@example.com` },
      context: signedUp ? {} : { groupId: `account-${i}` },
      timestamp: new Date(Date.UTC(2026, 0, 1, 0, 0, 0, i)),
    });
  }
  return planned;
}

export function report(delivered) {
  process.stdout.write(JSON.stringify({ delivered: delivered.sort() }));
}
