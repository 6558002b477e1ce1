"""Operations that a stock TensorFlow Serving binary links and that give equal answers every time.

The list is of core TensorFlow kernels without side effects on the host: no Python calls, no
stateful randomness, no file access beyond the vocabulary tables and the checkpoint.
"""

STATE = """
    VarHandleOp ReadVariableOp AssignVariableOp VarIsInitializedOp ResourceGather ResourceGatherNd
    DisableCopyOnRead HashTableV2 LookupTableFindV2 LookupTableSizeV2 InitializeTableFromTextFileV2
    RestoreV2 SaveV2 MergeV2Checkpoints ShardedFilename StaticRegexFullMatch StringJoin
"""

FLOW = """
    Const Placeholder PlaceholderWithDefault Identity IdentityN NoOp StopGradient PreventGradient
    PartitionedCall StatefulPartitionedCall If StatelessIf While StatelessWhile Case StatelessCase
    Switch Merge Enter Exit NextIteration LoopCond ControlTrigger Assert CheckNumerics EnsureShape
    TensorListReserve TensorListSetItem TensorListGetItem TensorListStack TensorListFromTensor
    TensorListGather TensorListConcatV2 TensorListLength TensorListPushBack TensorListPopBack
    EmptyTensorList TensorListElementShape
"""

SHAPE = """
    Shape ShapeN Size Rank Reshape ExpandDims Squeeze Pack Unpack ConcatV2 ConcatOffset Split SplitV
    Slice StridedSlice Tile Transpose InvertPermutation BroadcastTo BroadcastArgs Pad PadV2
    MirrorPad Fill ZerosLike OnesLike Range LinSpace Where Select SelectV2 Gather GatherV2 GatherNd
    ScatterNd TensorScatterAdd TensorScatterUpdate TensorScatterMax TensorScatterMin
    TensorScatterSub OneHot ReverseV2 ReverseSequence Roll Cast Bitcast Unique UniqueV2
    UniqueWithCounts ListDiff DynamicPartition DynamicStitch ParallelDynamicStitch MatrixDiagV3
    MatrixDiagPartV3 MatrixSetDiagV3 MatrixBandPart DiagPart Diag TopKV2 TopK InTopKV2 ArgMax
    ArgMin LowerBound UpperBound Bincount DenseBincount RaggedBincount SparseBincount
    SparseReshape SparseToDense SparseTensorDenseMatMul SparseConcat SparseSlice SparseReorder
    SparseReduceSum SparseFillEmptyRows SparseSegmentSum SparseSegmentMean SparseSegmentSqrtN
    SparseTensorToCSRSparseMatrix CSRSparseMatrixToDense SparseMatrixMatMul SparseAdd
    SparseSplit SparseDenseCwiseMul SparseDenseCwiseAdd SparseDenseCwiseDiv SparseSoftmax
    RaggedGather RaggedRange RaggedTensorToTensor RaggedTensorToSparse RaggedTensorFromVariant
    RaggedTensorToVariant RaggedCross SegmentSum SegmentSumV2 SegmentMean SegmentMax SegmentMin
    UnsortedSegmentSum UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd
"""

ARITHMETIC = """
    Add AddV2 AddN AccumulateNV2 Sub Mul MulNoNan Div DivNoNan RealDiv FloorDiv FloorMod Mod
    TruncateDiv TruncateMod Maximum Minimum Pow Neg Abs Sign Square SquaredDifference Sqrt Rsqrt
    Reciprocal Inv Exp Expm1 Log Log1p Sin Cos Tan Asin Acos Atan Atan2 Sinh Cosh Tanh Erf Erfc
    Sigmoid Softplus Softsign Relu Relu6 LeakyRelu Elu Selu Softmax LogSoftmax Xlogy Xlog1py Xdivy
    Floor Ceil Round Rint ClipByValue Equal NotEqual Less LessEqual Greater GreaterEqual
    ApproximateEqual LogicalAnd LogicalOr LogicalNot IsFinite IsInf IsNan BitwiseAnd BitwiseOr
    BitwiseXor LeftShift RightShift Invert Sum Mean Max Min Prod All Any Cumsum Cumprod
    CumulativeLogsumexp EuclideanNorm L2Loss MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum
    SparseMatMul MatrixInverse MatrixSolve MatrixTriangularSolve Cholesky BiasAdd BiasAddV1 Conv2D
    DepthwiseConv2dNative MaxPool MaxPoolV2 AvgPool FusedBatchNormV3 NthElement
"""

SEEDED = """
    StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomGetAlg
    StatelessRandomUniformV2 StatelessRandomNormalV2 StatelessTruncatedNormalV2
    StatelessRandomUniformIntV2 StatelessRandomUniformFullIntV2 StatelessRandomGammaV3
    StatelessRandomBinomial StatelessRandomPoisson StatelessMultinomial StatelessShuffle
"""

TEXT = """
    AsString StringToNumber StringToHashBucketFast StringToHashBucketStrong StringLower StringUpper
    StringStrip StringSplitV2 StringLength Substr StringNGrams RegexReplace RegexFullMatch
    ParseExampleV2
"""

CORE_OPS = frozenset(" ".join((STATE, FLOW, SHAPE, ARITHMETIC, SEEDED, TEXT)).split())
