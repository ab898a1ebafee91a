"""`make verify`: is a deployed stack whole, seen from outside its cluster?"""
