"""From a changed blob to a run: the schedules that wait for data.

watch    a schedule of that kind, and where it stands
rows     how it is kept: one partition of the table `changes` a schedule
intake   a blob has changed: whom does it concern, and has it been noticed before
runs     what was noticed becomes a run, one a change or one a batch
sweep    once a minute: what events have missed, what was left half done

An event is only a hint that a blob may have changed: what counts is what storage says of the blob when it is looked at.
So it does not matter where events come from, in which order, how often, or whether they come at all.
"""
