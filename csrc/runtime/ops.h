// The ops as plain structs: the mirror of pybp/program/ops/, field by field in the same order.
//
// fields(op, visit) calls visit(name, field) for each field. The loader, the check and the schema
// that Python compares with its own records all come from it, so a field is written down once.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>
#include <variant>

#include "ops/base.h"
#include "ops/call.h"
#include "ops/conv.h"
#include "ops/dense.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/loop.h"
#include "ops/losses.h"
#include "ops/norm.h"
#include "ops/pool.h"
#include "ops/recurrent.h"
#include "ops/regularize.h"
#include "ops/sequence.h"
#include "ops/updates.h"

namespace pybp {

// In the order of pybp.program.ops.OPS.
using Op =
    std::variant<Dense, DenseGradInput, DenseGradWeight, Activate, ActivateGrad, Softmax,
                 SoftmaxGrad, Dropout, Reshape, Add, Bias, BiasGrad, MoveChannels, Conv,
                 ConvGradInput, ConvGradWeight, Im2Col, Col2Im, MaxPool, MaxPoolGrad, AvgPool,
                 AvgPoolGrad, ChannelMoments, BatchNorm, BatchNormGrad, LayerNorm, LayerNormGrad,
                 Recurrent, RecurrentGrad, RecurrentGradWeight, DropMask, Pack, Unpack, Concat,
                 Columns, PadColumns, Multiply, Loop, ByRank, LastStep, LastStepGrad, ReverseSteps,
                 Zeros, Embedding, EmbeddingGrad, EmbeddingBag, EmbeddingBagGrad, ScatterRows, Call,
                 CallGrad, ElementwiseLoss, BCEWithLogitsLoss, NormLoss, LabelLoss,
                 DistributionLoss, CallLoss, Accuracy, SGD, SGDDense, Adam, Nadam, Radam, Adamax,
                 Adagrad, RMSProp, Adadelta, Penalty, ClipValue, ClipNorm, MaxNorm>;

template <class Self, class Visit>
void fields(Self& op, Visit&& visit) {
    Self::fields(op, visit);
}

// How many scalars of a step's row an op reads: 0 for all but the updates.
template <class Op, class = void>
inline constexpr std::ptrdiff_t kHyperCount = 0;
template <class Op>
inline constexpr std::ptrdiff_t kHyperCount<Op, std::void_t<decltype(Op::kHyper)>> =
    static_cast<std::ptrdiff_t>(sizeof(Op::kHyper) / sizeof(Op::kHyper[0]));

// Names of the enums, in Python's words. The parsers throw std::invalid_argument.
Activation parse_activation(const std::string& name);
LossFunction parse_loss_function(const std::string& name);
Reduction parse_reduction(const std::string& name);
Cell parse_cell(const std::string& name);
BagMode parse_bag_mode(const std::string& name);

}  // namespace pybp
