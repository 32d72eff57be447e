import Analytics from "analytics-node";
import { sendAndFlush } from "./calling_back.mjs";
import { base, key } from "./plan.mjs";

await sendAndFlush(new Analytics(key, { host: base }));
