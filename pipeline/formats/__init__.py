"""Every file that one stage writes and another reads: its columns, how it is written, read and checked. No other logic.

A reader checks what it reads: columns and types, row counts, checksums where there are any, and whether the file
belongs to what it is read with. What is cut, empty, foreign or edited is one line that names the file and the stage
to run again.
"""
