"""What fitted laws say of schedules that were not run."""
