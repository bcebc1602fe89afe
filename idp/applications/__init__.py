"""What an application is: the rules that every door asks; how it proves who it is, and registers itself."""
