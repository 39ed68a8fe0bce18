"""What is to be solved: tasks as data, their reference returns, their environments."""
