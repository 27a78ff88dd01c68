// The ops as plain structs: the mirror of pybp/program/ops/, field by field in the same order.
//
// fields(op, visit) calls visit(name, field) for each field. The loader, the check and the schema
// that Python compares with its own records all come from it, so a field is written down once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "../kernel_table.h"

namespace pybp {

inline constexpr int kAbsent = -1;

// An operand: the index of a buffer, or kAbsent where the field may be left out. The four types
// carry what the op does with it.
struct Operand {
    int index = kAbsent;
    bool present() const { return index != kAbsent; }
};
struct Read : Operand {};
struct Write : Operand {};
struct MaybeRead : Operand {};
struct MaybeWrite : Operand {};

enum class Reduction { mean, batch, sum };

using Shape = std::vector<std::ptrdiff_t>;

// ------------------------------------------------------------------------------------- dense

struct Dense {
    static constexpr const char* kKind = "dense";
    Read x, w;
    Write y;
    MaybeRead b;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("w", op.w);
        visit("y", op.y);
        visit("b", op.b);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct DenseGradInput {
    static constexpr const char* kKind = "dense_grad_input";
    Read dy, w;
    Write dx;
    MaybeRead x;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("dy", op.dy);
        visit("w", op.w);
        visit("dx", op.dx);
        visit("x", op.x);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct DenseGradWeight {
    static constexpr const char* kKind = "dense_grad_weight";
    Read x, dy;
    Write dw;
    MaybeWrite db;
    bool accumulate = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("dy", op.dy);
        visit("dw", op.dw);
        visit("db", op.db);
        visit("accumulate", op.accumulate);
    }
};

// ------------------------------------------------------------------------------- elementwise

struct Activate {
    static constexpr const char* kKind = "activate";
    Read x;
    Write y;
    Activation function = Activation::identity;
    double alpha = 0;
    double beta = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("function", op.function);
        visit("alpha", op.alpha);
        visit("beta", op.beta);
    }
};

struct ActivateGrad {
    static constexpr const char* kKind = "activate_grad";
    Read dy, saved;
    Write dx;
    Activation function = Activation::identity;
    double alpha = 0;
    double beta = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("dy", op.dy);
        visit("saved", op.saved);
        visit("dx", op.dx);
        visit("function", op.function);
        visit("alpha", op.alpha);
        visit("beta", op.beta);
    }
};

struct Softmax {
    static constexpr const char* kKind = "softmax";
    Read x;
    Write y;
    std::int64_t axis = 1;
    bool log = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("axis", op.axis);
        visit("log", op.log);
    }
};

struct SoftmaxGrad {
    static constexpr const char* kKind = "softmax_grad";
    Read dy, y;
    Write dx;
    std::int64_t axis = 1;
    bool log = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("dy", op.dy);
        visit("y", op.y);
        visit("dx", op.dx);
        visit("axis", op.axis);
        visit("log", op.log);
    }
};

struct Dropout {
    static constexpr const char* kKind = "dropout";
    Read x;
    Write y;
    double p = 0;
    std::int64_t stream = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("p", op.p);
        visit("stream", op.stream);
    }
};

struct Reshape {
    static constexpr const char* kKind = "reshape";
    Read x;
    Write y;
    Shape shape;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("shape", op.shape);
    }
};

// ------------------------------------------------------------------------------------ losses

struct Loss {
    Read prediction, target;
    MaybeRead weight;
    MaybeWrite dy, losses;
    Reduction reduction = Reduction::mean;
    double scale = 1;
    std::int64_t result = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("prediction", op.prediction);
        visit("target", op.target);
        visit("weight", op.weight);
        visit("dy", op.dy);
        visit("losses", op.losses);
        visit("reduction", op.reduction);
        visit("scale", op.scale);
        visit("result", op.result);
    }
};

struct ElementwiseLoss : Loss {
    static constexpr const char* kKind = "elementwise_loss";
    LossFunction function = LossFunction::squared;
    double parameter = 0;
    bool full = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Loss::fields(op, visit);
        visit("function", op.function);
        visit("parameter", op.parameter);
        visit("full", op.full);
    }
};

struct BCEWithLogitsLoss : Loss {
    static constexpr const char* kKind = "bce_with_logits_loss";
    MaybeRead column_weight, positive_weight;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Loss::fields(op, visit);
        visit("column_weight", op.column_weight);
        visit("positive_weight", op.positive_weight);
    }
};

struct NormLoss : Loss {
    static constexpr const char* kKind = "norm_loss";
};

struct LabelLoss : Loss {
    static constexpr const char* kKind = "label_loss";
    MaybeRead class_weight;
    std::int64_t ignore_index = -100;
    double label_smoothing = 0;
    bool logits = true;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Loss::fields(op, visit);
        visit("class_weight", op.class_weight);
        visit("ignore_index", op.ignore_index);
        visit("label_smoothing", op.label_smoothing);
        visit("logits", op.logits);
    }
};

struct DistributionLoss : Loss {
    static constexpr const char* kKind = "distribution_loss";
    MaybeRead class_weight;
    double label_smoothing = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Loss::fields(op, visit);
        visit("class_weight", op.class_weight);
        visit("label_smoothing", op.label_smoothing);
    }
};

struct Accuracy {
    static constexpr const char* kKind = "accuracy";
    Read prediction, target;
    MaybeRead weight;
    bool binary = false;
    double threshold = 0;
    std::int64_t ignore_index = -100;
    std::int64_t result = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("prediction", op.prediction);
        visit("target", op.target);
        visit("weight", op.weight);
        visit("binary", op.binary);
        visit("threshold", op.threshold);
        visit("ignore_index", op.ignore_index);
        visit("result", op.result);
    }
};

// ----------------------------------------------------------------------------------- updates

struct SGD {
    static constexpr const char* kKind = "sgd";
    static constexpr const char* kHyper[] = {"lr", "sign", "weight_decay", "momentum", "gain"};
    Write w;
    Read g;
    MaybeWrite v;
    bool nesterov = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("v", op.v);
        visit("nesterov", op.nesterov);
    }
};

struct SGDDense {
    static constexpr const char* kKind = "sgd_dense";
    static constexpr const auto& kHyper = SGD::kHyper;
    Read x, dy;
    Write w;
    MaybeWrite b;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("dy", op.dy);
        visit("w", op.w);
        visit("b", op.b);
    }
};

struct Adam {
    static constexpr const char* kKind = "adam";
    static constexpr const char* kHyper[] = {
        "lr",    "sign",  "weight_decay", "beta1",       "gain1",
        "beta2", "gain2", "eps",          "correction1", "sqrt_correction2"};
    Write w;
    Read g;
    Write m, v;
    MaybeWrite vmax;
    bool decoupled = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("m", op.m);
        visit("v", op.v);
        visit("vmax", op.vmax);
        visit("decoupled", op.decoupled);
    }
};

using Op = std::variant<Dense, DenseGradInput, DenseGradWeight, Activate, ActivateGrad, Softmax,
                        SoftmaxGrad, Dropout, Reshape, ElementwiseLoss, BCEWithLogitsLoss, NormLoss,
                        LabelLoss, DistributionLoss, Accuracy, SGD, SGDDense, Adam>;

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

}  // namespace pybp
