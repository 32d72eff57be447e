"""What could not be committed in time: on this machine's disk until Postgres is back.

    <data directory>/journal/NAME.sqlite3   entries that wait for Postgres
    <data directory>/journal/NAME.lock      held by the process that owns them

A process makes its file when it first needs one and removes it once Postgres has
confirmed all that was in it, so in quiet times the directory is empty. The locks are
`flock`s: the kernel releases them however a process ends, and whoever then takes the
lock has adopted the file.
"""
