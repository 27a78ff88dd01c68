// The dense core of one ISA level: strips of C from tiles, and the packing of B.
#include "few_rows.h"
#include "gemm_tile.h"
#include "table.h"
#include "transpose.h"

namespace pybp {
namespace {

// The largest tile that leaves no sum outside the registers: rows x 2 vectors, two registers for
// B and one for the broadcast of A. Where one vector holds all columns, more rows keep the chains
// of multiply-adds from waiting for each other: 8 are needed at least.
constexpr int kPanelVectors = 2;
#if defined(__AVX512F__)
constexpr int kTileRows = 14;  // 28 of 32 registers
constexpr int kNarrowRows = 14;
#elif defined(__AVX2__)
constexpr int kTileRows = 6;  // 12 of 16
constexpr int kNarrowRows = 12;
#elif defined(__aarch64__)
constexpr int kTileRows = 8;  // 16 of 32: more makes GCC spill
constexpr int kNarrowRows = 8;
#else
constexpr int kTileRows = 4;  // 8 of 16; products without FMA need registers of their own
constexpr int kNarrowRows = 8;
#endif

template <class T>
constexpr std::ptrdiff_t kPanel = kPanelVectors * kLanes<T>;

// Picks the tile of the right height, of at most kRows.
template <class T, AOrder kOrder, int kVectors, int kRows, class Edge>
PYBP_INLINE void run_tile(std::ptrdiff_t rows, const TileArgs<T>& args, Edge edge, Head<T> last) {
    if constexpr (kRows > 0) {
        if (rows != kRows) {
            run_tile<T, kOrder, kVectors, kRows - 1>(rows, args, edge, last);
        } else {
            tile<T, kRows, kVectors, kOrder>(args, edge, last);
        }
    }
}

// One panel of C, whose last vector has `in_last` columns.
template <class T, AOrder kOrder, class Edge>
void run_panel(std::ptrdiff_t rows, std::ptrdiff_t vectors, const TileArgs<T>& args, Edge edge,
               Head<T> last) {
    if (vectors == 1) {
        run_tile<T, kOrder, 1, kNarrowRows>(rows, args, edge, last);
    } else {
        run_tile<T, kOrder, 2, kTileRows>(rows, args, edge, last);
    }
}

template <class T, AOrder kOrder>
void run_strip(const GemmBlock<T>& block) {
    TileArgs<T> args;
    args.a = block.a;
    args.a_stride = kOrder == AOrder::along_k ? block.a_row : block.a_column;
    args.b = block.b;
    args.b_row = block.b_row;
    args.c = block.c;
    args.c_row = block.c_row;
    args.k = block.k;
    args.accumulate = block.accumulate;
    args.first_run = block.first_run;
    args.run = block.run;
    args.skips = block.skips;
    for (std::ptrdiff_t left = block.n; left > 0; left -= kPanel<T>) {
        const std::ptrdiff_t vectors = left > kLanes<T> ? 2 : 1;
        const std::ptrdiff_t in_last = left - (vectors - 1) * kLanes<T>;
        const Head<T> last(in_last < kLanes<T> ? in_last : kLanes<T>);
        if (block.b_padded || in_last >= kLanes<T>) {
            run_panel<T, kOrder>(block.m, vectors, args, Whole<T>{}, last);
        } else {
            run_panel<T, kOrder>(block.m, vectors, args, last, last);
        }
        args.b += block.b_panel;
        args.c += kPanel<T>;
    }
}

template <class T>
void strip(const GemmBlock<T>& block) {
    if (block.a_column == 1) {
        run_strip<T, AOrder::along_k>(block);
    } else {
        run_strip<T, AOrder::along_rows>(block);
    }
}

template <class T>
void few_rows(const GemmBlock<T>& block, bool transposed) {
    switch (block.m) {
        case 1:
            return few_rows_of<T, 1>(block, transposed);
        case 2:
            return few_rows_of<T, 2>(block, transposed);
        case 3:
            return few_rows_of<T, 3>(block, transposed);
        default:
            return few_rows_of<T, 4>(block, transposed);
    }
}

template <class T>
void pack_panel_transposed(const T* b, std::ptrdiff_t stride, std::ptrdiff_t k, std::ptrdiff_t n,
                           T* packed) {
    for (std::ptrdiff_t j = 0; j < kPanel<T>; j += kLanes<T>) {
        const bool whole = n - j >= kLanes<T>;
        const T* corner = j < n ? b + j * stride : b;
        RowPointers<T> rows(corner, stride);
        for (std::ptrdiff_t l = 0; l < k; l += kPiece<T>) {
            V<T> columns[kPiece<T>];
            if (whole && k - l >= kPiece<T>) {
                load_columns(rows, stride, 0, columns);
                rows.advance(kPiece<T>);
            } else {
                load_edge_columns(corner + l, stride, n - j, k - l < kPiece<T> ? k - l : kPiece<T>,
                                  columns);
            }
#pragma GCC unroll 4
            for (int c = 0; c < kPiece<T>; ++c) {
                if (l + c < k) store(packed + (l + c) * kPanel<T> + j, columns[c]);
            }
        }
    }
}

template <class T>
void pack_panel(const T* b, std::ptrdiff_t stride, std::ptrdiff_t k, std::ptrdiff_t n, T* packed) {
    if (n == kPanel<T>) {
        for (std::ptrdiff_t l = 0; l < k; ++l) {
#pragma GCC unroll 4
            for (int j = 0; j < kPanelVectors; ++j) {
                store(packed + l * kPanel<T> + j * kLanes<T>, load(b + l * stride + j * kLanes<T>));
            }
        }
        return;
    }
    const std::ptrdiff_t in_second = n > kLanes<T> ? n - kLanes<T> : 0;
    const Head<T> first(n < kLanes<T> ? n : kLanes<T>);
    const Head<T> second(in_second > 0 ? in_second : 1);
    for (std::ptrdiff_t l = 0; l < k; ++l) {
        const T* row = b + l * stride;
        store(packed + l * kPanel<T>, load(row, first));
        store(packed + l * kPanel<T> + kLanes<T>,
              in_second > 0 ? load(row + kLanes<T>, second) : V<T>{});
    }
}

template <class T>
void pack_b(const T* b, std::ptrdiff_t stride, bool transposed, std::ptrdiff_t k, std::ptrdiff_t n,
            T* packed) {
    for (std::ptrdiff_t j = 0; j < n; j += kPanel<T>) {
        const std::ptrdiff_t columns = n - j < kPanel<T> ? n - j : kPanel<T>;
        if (transposed) {
            pack_panel_transposed(b + j * stride, stride, k, columns, packed + j * k);
        } else {
            pack_panel(b + j, stride, k, columns, packed + j * k);
        }
    }
}

template <class T, int kRows>
PYBP_INLINE void pack_rows(const T* a, std::ptrdiff_t stride, std::ptrdiff_t k, std::ptrdiff_t rows,
                           T* packed) {
    if constexpr (kRows > 0) {
        if (rows != kRows) return pack_rows<T, kRows - 1>(a, stride, k, rows, packed);
        for (std::ptrdiff_t l = 0; l < k; ++l) {
            __builtin_memcpy(packed + l * kRows, a + l * stride, kRows * sizeof(T));
        }
    }
}

template <class T>
void pack_a(const T* a, std::ptrdiff_t stride, std::ptrdiff_t k, std::ptrdiff_t rows, T* packed) {
    constexpr int kMostRows = kNarrowRows > kTileRows ? kNarrowRows : kTileRows;
    pack_rows<T, kMostRows>(a, stride, k, rows, packed);
}

template <class T>
void fill(GemmKernels<T>& table) {
    table.rows = kTileRows;
    table.panel = kPanel<T>;
    table.narrow_rows = kNarrowRows;
    table.narrow = kLanes<T>;
    table.strip = strip<T>;
    table.few_rows = few_rows<T>;
    table.pack_b = pack_b<T>;
    table.pack_a = pack_a<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(gemm, GemmKernels)

}  // namespace pybp
