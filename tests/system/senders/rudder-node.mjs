import RudderAnalytics from "@rudderstack/rudder-sdk-node";
import { sendAndFlush } from "./calling_back.mjs";
import { base, key } from "./plan.mjs";

await sendAndFlush(new RudderAnalytics(key, { dataPlaneUrl: base }));
