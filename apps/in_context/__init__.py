"""In-context learning: transformers that learn functions from the examples in their prompt.

After Garg, Tsipras, Liang and Valiant, "What Can Transformers Learn In-Context? A Case Study of
Simple Function Classes" (arXiv 2208.01066). README.md beside this file says how to use it.
"""
