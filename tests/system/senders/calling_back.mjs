// Sends by an SDK that calls back for each message.

import { calls, report } from "./plan.mjs";

export async function send(analytics, end) {
  const delivered = [];
  const answers = [];
  for await (const { call, ...message } of calls()) {
    answers.push(
      new Promise((resolve) => {
        analytics[call](message, (error) => {
          if (!error && call === "track") delivered.push(message.userId);
          resolve();
        });
      }),
    );
  }
  await end(answers);
  report(delivered);
}

// For SDKs whose flush() waits for nothing that is on its way.
export async function sendAndFlush(analytics) {
  await send(analytics, async (answers) => {
    await Promise.all(answers);
    await analytics.flush();
  });
}
