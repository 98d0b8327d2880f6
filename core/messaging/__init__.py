"""After the commit: duties, news and inquiries, run by workers from the tables that are the truth."""
