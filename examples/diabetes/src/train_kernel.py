"""A smooth non-linear model: ridge regression on a radial kernel."""

from sklearn.kernel_ridge import KernelRidge
from train import parse_arguments, train

arguments = parse_arguments()
train(KernelRidge(alpha=arguments.reg, kernel="rbf", gamma=0.003), arguments)
