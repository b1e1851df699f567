"""The stratified sample of groups: how many of each stratum, which ones, and what is to be said of them."""
