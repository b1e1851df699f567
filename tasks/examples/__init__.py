"""The steps `retrieve` and `sample`: candidates of each cut, and the stratified sample of examples."""
