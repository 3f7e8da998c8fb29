"""Looking at a finished result in a browser (extra ``[view]``); no other package needs it."""
