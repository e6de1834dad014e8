"""Long chain-of-thought fine-tuning, the first pillar: a base model, SFT on long traces, and a contrast.

Paper: K2-Think section on SFT; data and hyper-parameters of the 32B run stand in `paper/data`
(sft_config_and_data.csv). Here the same shape of recipe trains mini-K2, from nothing, in minutes.
"""
