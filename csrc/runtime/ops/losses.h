// Losses and metrics.
#pragma once

#include "base.h"

namespace pybp {

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

}  // namespace pybp
