"""python -m pipeline.command: the command `drillcore` of the code in this folder, installed or not."""

from pipeline.command.app import main

main()
