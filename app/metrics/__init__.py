"""What is counted and timed, for Prometheus; right whichever worker is asked.

    catalog      every metric: name, meaning, labels
    labels       what these can be
    layout       a cell, a float, for each series: labels are closed, so all are known
    board        a row of cells for each process, in memory that all of them share
    meters       what the rest of the code counts with
    exposition   the rows added up, as text

prometheus_client writes the text. Its own counting across processes is not used: it
costs several times as much, decides by the environment at import, and keeps a file
of every process that ever was.
"""
