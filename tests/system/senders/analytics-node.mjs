import Analytics from "analytics-node";
import { base, calls, key, report } from "./plan.mjs";

const analytics = new Analytics(key, { host: base });
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
await Promise.all(answers);
await analytics.flush();
report(delivered);
