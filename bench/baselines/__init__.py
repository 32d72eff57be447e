"""Services and statements that Rollcall is compared with."""
