"""What is run on mini-K2: things to be made, what they need, and who makes them.

made       one thing that is made: weights, a curve, scores
campaign   everything that is missing is made, jobs side by side
scale      how large, how often, how many seeds: what a profile sets
pools      answers of a model to the benchmarks, and their scores
sft, rlvr  a file for each pillar: its list of things, and the numbers that they give
"""
