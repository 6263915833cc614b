"""The commands of the `nmr` command line that need neither training nor serving."""
