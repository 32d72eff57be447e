import { jitsuAnalytics } from "@jitsu/js";
import { base, calls, key, report } from "./plan.mjs";

const delivered = [];
for await (const { call, userId, event, properties, context, timestamp, groupId, traits } of calls()) {
  // One client a user: as on a server, where each request is somebody else's.
  const analytics = jitsuAnalytics({ host: base, writeKey: `rollcall:${key}`, s2s: true });
  await analytics.identify(userId, traits ?? {});
  if (call === "group") await analytics.group(groupId, {});
  if (call !== "track") continue;
  const answer = await analytics.track(event, { ...properties, context, timestamp });
  if (answer?.ok !== false) delivered.push(userId);
}
report(delivered);
