"""What training knows of where items were shown: weights that correct for it, and what they were made from."""
