"""SQL Server itself: in Docker, where that is."""
