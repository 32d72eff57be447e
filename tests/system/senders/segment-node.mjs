import { Analytics } from "@segment/analytics-node";
import { send } from "./calling_back.mjs";
import { base, key } from "./plan.mjs";

const analytics = new Analytics({ writeKey: key, host: base });
await send(analytics, () => analytics.closeAndFlush());
