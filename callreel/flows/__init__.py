"""The verbs: one file for each thing somebody asks Callreel to do, in its order of steps."""
