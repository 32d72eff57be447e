"""Time limits that the supervisor and its workers share."""

# Longer than the idle timeout of common proxies and SDKs, so that the client closes
# an idle connection first, and not the server while a request is on its way.
KEEP_ALIVE_S = 75
# After a reload, an old worker waits for idle connections to end at their timeout.
RELOAD_DRAIN_S = KEEP_ALIVE_S + 5.0
