"""The report's nine experiments trained again, and shown beside what the report says of them."""
