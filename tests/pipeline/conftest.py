"""How Hypothesis runs here: with no deadline for a busy machine to miss, and no longer
than all that must pass has time for.

What the profile that Hypothesis chose says stays true: on a CI server it is one that
draws the same examples each time.
"""

from hypothesis import settings

from app.pipeline.json_decode import allow_deep_bodies

settings.register_profile(
    "events",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    max_examples=60,
)
settings.load_profile("events")
# As each process of Rollcall does at its start.
allow_deep_bodies()
