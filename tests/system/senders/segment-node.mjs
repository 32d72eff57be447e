import { Analytics } from "@segment/analytics-node";
import { base, calls, key, report } from "./plan.mjs";

const analytics = new Analytics({ writeKey: key, host: base });
const delivered = [];
for await (const { call, ...message } of calls()) {
  analytics[call](message, (error) => {
    if (!error && call === "track") delivered.push(message.userId);
  });
}
await analytics.closeAndFlush();
report(delivered);
