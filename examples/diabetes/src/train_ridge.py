"""A linear model with an L2 penalty."""

from sklearn.linear_model import Ridge
from train import parse_arguments, train

arguments = parse_arguments()
train(Ridge(alpha=arguments.reg), arguments)
