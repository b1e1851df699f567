"""What a pipeline file says of feedback: how what users did is to be read, given what they were shown."""
