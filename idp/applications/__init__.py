"""What an application is: the rules that every entrance asks; how it proves who it is, and registers itself."""
