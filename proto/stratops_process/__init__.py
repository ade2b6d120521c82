"""What each process of ours shows to whoever runs it: how it is ended, and its pages over HTTP.

Imports nothing of ours and little else: `ending` is there before anything heavy is.
"""
