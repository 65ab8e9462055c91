"""What a sweep will take, reckoned before anything of it is started."""
