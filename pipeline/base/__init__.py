"""What every room stands on: params.yaml, the command line, errors for bad input, whole files, the code key, the
machine.
"""
