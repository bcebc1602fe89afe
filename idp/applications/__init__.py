"""What an application is: the rules that every door asks."""
