// Batch and layer normalisation: sums in chunks of fixed shape, then one pass over the elements.
#pragma once

#include <cmath>

#include "channels.h"

namespace pybp {

// ------------------------------------------------------------------------------------ moments

template <class T>
struct MomentsScratch {
    ChannelSums<T, 1> sums;
    T* mean;  // [columns]

    MomentsScratch(const ChannelRows& at, Scratch scratch)
        : sums(at, scratch), mean(scratch.take<T>(at.columns())), bytes(scratch.used()) {}

    std::ptrdiff_t bytes;
};

template <class T>
std::ptrdiff_t scratch_bytes(const ChannelMoments& op, const Extents& extents, int) {
    return MomentsScratch<T>(ChannelRows(extents, op.x), Scratch()).bytes;
}

// running = (1 - momentum) * running + momentum * moment, where there is one.
template <class T>
void follow(T* running, const T* moments, double momentum, double factor, std::ptrdiff_t channels) {
    if (!running) return;
    for (std::ptrdiff_t c = 0; c < channels; ++c) {
        const double moment = static_cast<double>(moments[c]) * factor;
        const double kept = (1 - momentum) * static_cast<double>(running[c]);
        running[c] = static_cast<T>(kept + momentum * moment);
    }
}

template <class T>
void run(const ChannelMoments& op, const Step<T>& step) {
    const ChannelRows at(step.extents, op.x);
    const MomentsScratch<T> scratch(at, Scratch(step.scratch));
    const T* x = step.data(op.x);
    T* mean = step.data(op.mean);
    T* var = step.data(op.var);
    const std::ptrdiff_t columns = at.columns();
    const double rows = static_cast<double>(at.rows);
    const double* totals = scratch.sums.totals;
    scratch.sums.run(step, at,
                     [&](std::ptrdiff_t row, std::ptrdiff_t column, std::ptrdiff_t count,
                         std::ptrdiff_t width, T* const(&sums)[1]) {
                         step.kernels.elementwise.column_sums(x + row * columns + column, sums[0],
                                                              columns, count, width, false);
                     });
    for (std::ptrdiff_t c = 0; c < at.channels; ++c) mean[c] = static_cast<T>(totals[c] / rows);
    repeat_channels(at, scratch.mean, [&](std::ptrdiff_t c) { return mean[c]; });
    scratch.sums.run(step, at,
                     [&](std::ptrdiff_t row, std::ptrdiff_t column, std::ptrdiff_t count,
                         std::ptrdiff_t width, T* const(&sums)[1]) {
                         step.kernels.norm.squares({columns, count, width},
                                                   x + row * columns + column,
                                                   scratch.mean + column, sums[0]);
                     });
    for (std::ptrdiff_t c = 0; c < at.channels; ++c) var[c] = static_cast<T>(totals[c] / rows);
    follow(step.data(op.running_mean), mean, op.momentum, 1.0, at.channels);
    const double unbiased = at.rows > 1 ? rows / (rows - 1) : 1.0;  // a single row: 0 stays 0
    follow(step.data(op.running_var), var, op.momentum, unbiased, at.channels);
}

// -------------------------------------------------------------------------------------- batch

inline double inverse_root(double variance, double eps) { return 1 / std::sqrt(variance + eps); }

template <class T>
struct BatchNormScratch {
    T* mean;  // all [columns]
    T* scale;
    T* shift;

    BatchNormScratch(const ChannelRows& at, Scratch scratch)
        : mean(scratch.take<T>(at.columns())),
          scale(scratch.take<T>(at.columns())),
          shift(scratch.take<T>(at.columns())),
          bytes(scratch.used()) {}

    std::ptrdiff_t bytes;
};

template <class T>
std::ptrdiff_t scratch_bytes(const BatchNorm& op, const Extents& extents, int) {
    return BatchNormScratch<T>(ChannelRows(extents, op.x), Scratch()).bytes;
}

template <class T>
void run(const BatchNorm& op, const Step<T>& step) {
    const ChannelRows at(step.extents, op.x);
    const BatchNormScratch<T> scratch(at, Scratch(step.scratch));
    const T* mean = step.data(op.mean);
    const T* var = step.data(op.var);
    const T* gamma = step.data(op.gamma);
    const T* beta = step.data(op.beta);
    repeat_channels(at, scratch.mean, [&](std::ptrdiff_t c) { return mean[c]; });
    repeat_channels(at, scratch.scale, [&](std::ptrdiff_t c) {
        const double rstd = inverse_root(static_cast<double>(var[c]), op.eps);
        return static_cast<T>(gamma ? static_cast<double>(gamma[c]) * rstd : rstd);
    });
    repeat_channels(at, scratch.shift, [&](std::ptrdiff_t c) { return beta ? beta[c] : T{0}; });
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    const T alpha = static_cast<T>(op.alpha);
    parallel_wide_rows(
        step.team, at, [&](std::ptrdiff_t offset, std::ptrdiff_t rows, std::ptrdiff_t columns) {
            step.kernels.norm.batch_norm(op.activation, alpha, x + offset, scratch.mean,
                                         scratch.scale, scratch.shift, y + offset, rows, columns);
        });
}

template <class T>
struct BatchNormGradScratch {
    ChannelSums<T, 2> sums;
    T* mean;  // this and the others [columns]
    T* rstd;
    T* scale;
    T* offset;
    T* factor;

    BatchNormGradScratch(const ChannelRows& at, Scratch scratch)
        : sums(at, scratch),
          mean(scratch.take<T>(at.columns())),
          rstd(scratch.take<T>(at.columns())),
          scale(scratch.take<T>(at.columns())),
          offset(scratch.take<T>(at.columns())),
          factor(scratch.take<T>(at.columns())),
          bytes(scratch.used()) {}

    std::ptrdiff_t bytes;
};

template <class T>
std::ptrdiff_t scratch_bytes(const BatchNormGrad& op, const Extents& extents, int) {
    return BatchNormGradScratch<T>(ChannelRows(extents, op.x), Scratch()).bytes;
}

// dy and y from an offset on.
template <class T>
SlopedGradient<T> sloped_gradient(const BatchNormGrad& op, const Step<T>& step,
                                  std::ptrdiff_t offset) {
    const T* y = step.data(op.y);
    return {step.data(op.dy) + offset, y ? y + offset : nullptr, op.activation,
            static_cast<T>(op.alpha)};
}

// The sums of g and of g * xhat into the scratch, and from there into dbeta and dgamma.
template <class T>
void sum_gradients(const BatchNormGrad& op, const Step<T>& step, const ChannelRows& at,
                   const BatchNormGradScratch<T>& scratch) {
    const T* x = step.data(op.x);
    const std::ptrdiff_t columns = at.columns();
    scratch.sums.run(step, at,
                     [&](std::ptrdiff_t row, std::ptrdiff_t column, std::ptrdiff_t rows,
                         std::ptrdiff_t width, T* const(&sums)[2]) {
                         const std::ptrdiff_t offset = row * columns + column;
                         step.kernels.norm.batch_norm_sums(
                             {columns, rows, width}, sloped_gradient(op, step, offset), x + offset,
                             scratch.mean + column, scratch.rstd + column, sums[0], sums[1]);
                     });
    write_totals(step.data(op.dbeta), scratch.sums.total(at, 0), at.channels, op.accumulate);
    write_totals(step.data(op.dgamma), scratch.sums.total(at, 1), at.channels, op.accumulate);
}

template <class T>
void run(const BatchNormGrad& op, const Step<T>& step) {
    const ChannelRows at(step.extents, op.x);
    const BatchNormGradScratch<T> scratch(at, Scratch(step.scratch));
    const T* mean = step.data(op.mean);
    const T* var = step.data(op.var);
    const T* gamma = step.data(op.gamma);
    const auto rstd = [&](std::ptrdiff_t c) {
        return inverse_root(static_cast<double>(var[c]), op.eps);
    };
    repeat_channels(at, scratch.mean, [&](std::ptrdiff_t c) { return mean[c]; });
    repeat_channels(at, scratch.rstd, [&](std::ptrdiff_t c) { return static_cast<T>(rstd(c)); });
    const bool centre = op.dx.present() && op.batch_statistics;
    if (centre || op.dgamma.present() || op.dbeta.present()) sum_gradients(op, step, at, scratch);
    if (!op.dx.present()) return;
    repeat_channels(at, scratch.scale, [&](std::ptrdiff_t c) {
        return static_cast<T>(gamma ? static_cast<double>(gamma[c]) * rstd(c) : rstd(c));
    });
    if (centre) {
        const double rows = static_cast<double>(at.rows);
        repeat_channels(at, scratch.offset, [&](std::ptrdiff_t c) {
            return static_cast<T>(scratch.sums.total(at, 0)[c] / rows);
        });
        repeat_channels(at, scratch.factor, [&](std::ptrdiff_t c) {
            return static_cast<T>(scratch.sums.total(at, 1)[c] / rows * rstd(c));
        });
    }
    const T* x = step.data(op.x);
    T* dx = step.data(op.dx);
    parallel_wide_rows(
        step.team, at, [&](std::ptrdiff_t offset, std::ptrdiff_t rows, std::ptrdiff_t columns) {
            step.kernels.norm.batch_norm_grad(
                sloped_gradient(op, step, offset), x + offset, scratch.mean, scratch.scale,
                centre ? scratch.offset : nullptr, scratch.factor, dx + offset, rows, columns);
        });
}

// -------------------------------------------------------------------------------------- layer

template <class T>
void run(const LayerNorm& op, const Step<T>& step) {
    const std::ptrdiff_t rows = step.extents.size(op.mean);
    const std::ptrdiff_t columns = step.extents.size(op.x) / rows;
    const T* x = step.data(op.x);
    const T* gamma = step.data(op.gamma);
    const T* beta = step.data(op.beta);
    T* y = step.data(op.y);
    T* mean = step.data(op.mean);
    T* rstd = step.data(op.rstd);
    parallel_ranges(step.team, rows, kGrain / columns,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        step.kernels.norm.layer_norm(x + begin * columns, gamma, beta, op.eps,
                                                     y + begin * columns, mean + begin,
                                                     rstd + begin, end - begin, columns);
                    });
}

// Each row has a mean of its own, so no rows are put together.
inline ChannelRows layer_rows(const LayerNormGrad& op, const Extents& extents) {
    const std::ptrdiff_t rows = extents.size(op.mean);
    return {rows, extents.size(op.x) / rows, 1};
}

template <class T>
std::ptrdiff_t scratch_bytes(const LayerNormGrad& op, const Extents& extents, int) {
    Scratch scratch;
    ChannelSums<T, 2>(layer_rows(op, extents), scratch);
    return scratch.used();
}

template <class T>
void run(const LayerNormGrad& op, const Step<T>& step) {
    const ChannelRows at = layer_rows(op, step.extents);
    const std::ptrdiff_t columns = at.channels;
    const T* dy = step.data(op.dy);
    const T* x = step.data(op.x);
    const T* mean = step.data(op.mean);
    const T* rstd = step.data(op.rstd);
    if (op.dgamma.present() || op.dbeta.present()) {
        Scratch scratch(step.scratch);
        const ChannelSums<T, 2> all(at, scratch);
        all.run(step, at,
                [&](std::ptrdiff_t row, std::ptrdiff_t column, std::ptrdiff_t rows,
                    std::ptrdiff_t width, T* const(&sums)[2]) {
                    const std::ptrdiff_t offset = row * columns + column;
                    step.kernels.norm.layer_norm_sums({columns, rows, width}, dy + offset,
                                                      x + offset, mean + row, rstd + row, sums[0],
                                                      sums[1]);
                });
        write_totals(step.data(op.dbeta), all.total(at, 0), columns, op.accumulate);
        write_totals(step.data(op.dgamma), all.total(at, 1), columns, op.accumulate);
    }
    if (!op.dx.present()) return;
    const T* gamma = step.data(op.gamma);
    T* dx = step.data(op.dx);
    parallel_ranges(
        step.team, at.rows, kGrain / columns, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            step.kernels.norm.layer_norm_grad(dy + begin * columns, x + begin * columns,
                                              mean + begin, rstd + begin, gamma,
                                              dx + begin * columns, end - begin, columns);
        });
}

}  // namespace pybp
