import Analytics from "analytics-node";
import { base, calls, key, report } from "./plan.mjs";

const analytics = new Analytics(key, { host: base });
const delivered = [];
await Promise.all(
  calls().map(
    ({ call, ...message }) =>
      new Promise((resolve) => {
        analytics[call](message, (error) => {
          if (!error && call === "track") delivered.push(message.userId);
          resolve();
        });
      }),
  ),
);
await analytics.flush();
report(delivered);
