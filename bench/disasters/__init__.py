"""What can go wrong with a recorder, done to real ones, and what their record must hold afterwards."""
