"""The operators that a model may use: what scoring rows needs, nothing that loops, draws numbers or reads files.

Those of neural networks come from the domain `ai.onnx`, trees and scalers of other libraries from `ai.onnx.ml`.
"""

from __future__ import annotations

STANDARD, CLASSICAL = "ai.onnx", "ai.onnx.ml"
VERSIONS = {STANDARD: range(11, 24), CLASSICAL: range(1, 6)}
"""The versions of each domain that a model may be written in."""
IR_VERSIONS = range(4, 13)
"""Of the file format; from 4 on constants are no inputs."""

OPERATORS: dict[str, frozenset[str]] = {
    STANDARD: frozenset(
        {
            # Element by element.
            *("Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Cos", "Div", "Equal", "Erf", "Exp", "Floor"),
            *("Greater", "GreaterOrEqual", "Identity", "IsInf", "IsNaN", "Less", "LessOrEqual", "Log", "Max", "Mean"),
            *("Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Round", "Sign", "Sin", "Sqrt", "Sub"),
            *("Sum", "Tanh", "Where", "Xor"),
            # Activations.
            *("Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Relu", "Selu"),
            *("Sigmoid", "Softplus", "Softsign", "ThresholdedRelu"),
            # Products, and what a whole row takes part in.
            *("Attention", "BatchNormalization", "CumSum", "Einsum", "Gemm", "GroupNormalization", "GRU", "Hardmax"),
            *("InstanceNormalization", "LayerNormalization", "LogSoftmax", "LpNormalization", "LSTM", "MatMul"),
            *("MeanVarianceNormalization", "RMSNormalization", "RNN", "RotaryEmbedding", "Softmax", "Trilu"),
            *("ArgMax", "ArgMin", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax"),
            *("ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "TopK"),
            *("AveragePool", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"),
            # Shapes and places.
            *("Concat", "Constant", "ConstantOfShape", "Expand", "EyeLike", "Flatten", "Gather", "GatherElements"),
            *("GatherND", "OneHot", "Pad", "Range", "Reshape", "ScatterElements", "ScatterND", "Shape", "Size"),
            *("Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
        }
    ),
    CLASSICAL: frozenset(
        {
            *("ArrayFeatureExtractor", "Binarizer", "FeatureVectorizer", "Imputer", "LinearClassifier"),
            *("LinearRegressor", "Normalizer", "Scaler", "SVMClassifier", "SVMRegressor", "TreeEnsemble"),
            *("TreeEnsembleClassifier", "TreeEnsembleRegressor"),
        }
    ),
}
"""The operators of each domain."""


def domain_of(written: str) -> str:
    """The domain that is meant: the standard one has an empty name, too."""
    return written or STANDARD
