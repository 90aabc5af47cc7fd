"""What each verb of the command line does; cli.py says how it is called."""
