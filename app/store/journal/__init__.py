"""The journal: entries on this machine's disk that wait for Postgres.

    <data directory>/journal/NAME.sqlite3   entries that wait for Postgres
    <data directory>/journal/NAME.lock      held by the process that owns them
    <data directory>/journal/bucket-N/      the same for a bucket of several

A process creates its file when it first needs one and removes it once Postgres has
confirmed all its entries, so the directory is usually empty. The locks are `flock`s:
the kernel releases them however a process ends, and the process that takes such a lock
next adopts the file.
"""
