"""What an answer may use: names of Python, functions of modules, attributes of values. All else is refused."""

import ast
import functools
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def words(text):
    """The words of a text, as a set. Provided."""
    return frozenset(re.findall(r"\w+", text))


BUILTINS = words(
    """abs aiter all anext any ascii bin bool bytearray bytes callable chr classmethod complex dict display divmod
    enumerate filter float format frozenset hash hex id int isinstance issubclass iter len list map max min next object
    oct ord pow print property range repr reversed round set slice sorted staticmethod str sum super tuple type zip

    ArithmeticError AssertionError AttributeError BaseException DeprecationWarning Ellipsis Exception False
    FloatingPointError IndexError KeyError KeyboardInterrupt LookupError MemoryError NameError None NotImplemented
    NotImplementedError OverflowError RecursionError RuntimeError RuntimeWarning StopIteration SyntaxError TypeError
    True UserWarning ValueError Warning ZeroDivisionError"""
)
CALLED_ONLY = words("getattr hasattr")  # with a name that can be read, and never as a value
SPECIAL = words(  # the only names with an underscore in front, beside _ itself
    """_ __add__ __bool__ __call__ __class__ __contains__ __doc__ __enter__ __eq__ __exit__ __float__ __ge__
    __getitem__ __gt__ __hash__ __iadd__ __imul__ __init__ __int__ __isub__ __iter__ __le__ __len__ __lt__
    __matmul__ __mul__ __name__ __ne__ __neg__ __next__ __post_init__ __pow__ __radd__ __repr__ __rmul__
    __rsub__ __setitem__ __str__ __sub__ __truediv__ __version__"""
)

MODULES = {
    "__future__": words("annotations"),
    "abc": words("ABC abstractmethod"),
    "bisect": words("bisect bisect_left bisect_right insort"),
    "cnnlib.capstone": words("BUDGET Budget costs"),
    "cnnlib.data": words("batches load to_float"),
    "cnnlib.grading": words("check"),
    "cnnlib.train": words(
        """Config Muon evaluate fit forward keep_memory learning_rate load_card load_record load_weights
        make_optimizer orthogonalize predict seeded split train_epoch"""
    ),
    "collections": words("ChainMap Counter OrderedDict defaultdict deque namedtuple"),
    "contextlib": words("closing contextmanager nullcontext suppress"),
    "copy": words("copy deepcopy replace"),
    "dataclasses": words("asdict astuple dataclass field replace"),
    "decimal": words("Decimal"),
    "enum": words("Enum IntEnum auto"),
    "fractions": words("Fraction"),
    "functools": words("cache cached_property lru_cache partial reduce total_ordering wraps"),
    "heapq": words("heapify heappop heappush nlargest nsmallest"),
    "IPython.display": words("Markdown display"),
    "itertools": words(
        """accumulate batched chain combinations combinations_with_replacement compress count cycle dropwhile
        filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest"""
    ),
    "json": words("dumps loads"),
    "math": words(
        """acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp exp2
        expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm
        ldexp lgamma log log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt
        tan tanh tau trunc"""
    ),
    "matplotlib": words("cm colormaps rcParams"),
    "matplotlib.pyplot": words(
        """axhline axis axvline bar barh cla clf close cm colorbar colormaps figure fill_between gca gcf grid hist
        hlines imshow legend matshow pcolormesh plot rcParams scatter semilogx semilogy loglog show subplot
        subplots suptitle text tight_layout title vlines xlabel xlim xticks ylabel ylim yticks"""
    ),
    "numbers": words("Integral Number Real"),
    "numpy": words(
        """abs absolute add all allclose amax amin angle any append apply_along_axis apply_over_axes arange arccos
        arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argpartition argsort argwhere around array
        array2string array_equal array_equiv array_repr array_split array_str asanyarray asarray
        ascontiguousarray asfortranarray astype atleast_1d atleast_2d atleast_3d average bartlett base_repr
        binary_repr bincount bitwise_and bitwise_or bitwise_xor blackman block bool bool_ broadcast
        broadcast_arrays broadcast_shapes broadcast_to c_ can_cast cbrt ceil choose clip column_stack
        common_type complex128 complex64 compress concat concatenate conj conjugate convolve copy copysign
        copyto corrcoef correlate cos cosh count_nonzero cov cross cumprod cumsum cumulative_prod cumulative_sum
        deg2rad degrees delete diag diag_indices diagflat diagonal diff digitize divide divmod dot double dsplit
        dstack dtype e ediff1d einsum einsum_path empty empty_like equal errstate exp exp2 expand_dims expm1
        extract eye fabs fill_diagonal finfo flatnonzero flip fliplr flipud float16 float32 float64 floating
        float_power floor floor_divide fmax fmin fmod frexp frombuffer fromfunction fromiter frompyfunc full
        full_like generic geomspace get_printoptions gradient greater greater_equal hamming hanning heaviside
        histogram histogram2d hsplit hstack hypot identity iinfo imag indices inexact inf inner insert int16
        int32 int64 int8 int_ integer interp intersect1d invert isclose iscomplexobj isdtype isfinite isin isinf
        isnan isneginf isposinf isreal isscalar issubdtype ix_ kaiser kron ldexp left_shift less less_equal
        lexsort linspace log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or
        logical_xor logspace mask_indices matmul matrix_transpose matvec max maximum may_share_memory mean
        median meshgrid mgrid min min_scalar_type minimum mod modf moveaxis multiply nan nan_to_num nanargmax
        nanargmin nancumsum nanmax nanmean nanmedian nanmin nanprod nanstd nansum nanvar ndarray ndenumerate
        ndim ndindex nditer negative newaxis nextafter nonzero not_equal number ogrid ones ones_like outer
        packbits pad partition percentile permute_dims pi piecewise place polyfit polyval positive pow power
        prod promote_types ptp put put_along_axis putmask quantile r_ rad2deg radians ravel ravel_multi_index
        real reciprocal remainder repeat require reshape resize result_type right_shift rint roll rollaxis rot90
        round row_stack s_ searchsorted select set_printoptions setdiff1d shape shares_memory sign signbit
        signedinteger sin sinc sinh size sort spacing split sqrt square squeeze stack std subtract sum swapaxes
        take take_along_axis tan tanh tensordot tile trace transpose trapezoid tri tril tril_indices triu
        triu_indices true_divide trunc typename ufunc uint16 uint32 uint64 uint8 uint union1d unique unpackbits
        unravel_index unsignedinteger unstack unwrap vander var vdot vecdot vecmat vectorize vsplit vstack where
        zeros zeros_like"""
    ),
    "numpy.fft": words("fft fft2 fftfreq fftn fftshift ifft ifft2 ifftn ifftshift irfft irfft2 rfft rfft2"),
    "numpy.lib": frozenset(),
    "numpy.lib.stride_tricks": words("as_strided sliding_window_view"),
    "numpy.linalg": words(
        """LinAlgError cond det eig eigh eigvals eigvalsh inv lstsq matrix_power matrix_rank multi_dot norm pinv qr
        slogdet solve svd svdvals"""
    ),
    "numpy.random": words(
        """Generator RandomState SeedSequence choice default_rng normal permutation rand randint randn random seed
        shuffle standard_normal uniform"""
    ),
    "numpy.testing": words("assert_allclose assert_array_almost_equal assert_array_equal assert_equal"),
    "numpy.typing": words("ArrayLike DTypeLike NDArray"),
    "operator": words(
        """add and_ concat contains countOf eq floordiv ge getitem gt iadd imul index inv invert itemgetter le
        lshift lt matmul mod mul ne neg not_ or_ pos pow rshift sub truediv xor"""
    ),
    "random": words("Random choice choices gauss randint random randrange sample seed shuffle uniform"),
    "re": words("IGNORECASE MULTILINE compile escape findall finditer fullmatch match search split sub"),
    "scipy": frozenset(),
    "scipy.linalg": words("inv lstsq norm solve svd toeplitz"),
    "scipy.ndimage": words(
        "convolve convolve1d correlate correlate1d gaussian_filter maximum_filter sobel uniform_filter"
    ),
    "scipy.signal": words("convolve convolve2d correlate correlate2d fftconvolve oaconvolve"),
    "scipy.special": words("expit log_softmax logsumexp softmax"),
    "statistics": words("fmean mean median pstdev stdev variance"),
    "string": words("ascii_letters ascii_lowercase ascii_uppercase digits"),
    "textwrap": words("dedent indent"),
    "time": words("monotonic perf_counter process_time time"),
    "torch": words(
        """BoolTensor FloatTensor Generator LongTensor Size Tensor abs accelerator add addmm all allclose amax amin
        any arange argmax argmin argsort as_strided as_tensor atan2 autocast backends baddbmm bernoulli bfloat16
        bincount bmm bool bucketize cartesian_prod cat ceil cdist channels_last chunk clamp clone column_stack
        combinations complex64 concat concatenate contiguous_format conv1d conv2d conv3d cos cosh cov cpu cross
        cuda cummax cummin cumprod cumsum deg2rad det device diag diagonal diff div dot double dtype e einsum
        empty empty_like enable_grad eq equal erf exp expm1 eye flatten flip fliplr flipud float float16 float32
        float64 floor from_numpy full full_like gather ge get_num_threads get_rng_state gradient gt half hstack
        hypot index_select inf inference_mode initial_seed int int16 int32 int64 int8 inverse is_floating_point
        is_grad_enabled is_tensor isclose isfinite isin isinf isnan kron kthvalue layout le lerp linspace log
        log10 log1p log2 logical_and logical_not logical_or logspace logsumexp long lt manual_seed masked_select
        matmul max maximum mean median meshgrid min minimum mm moveaxis movedim mul multinomial nan nan_to_num
        narrow ne neg nn no_grad nonzero norm normal numel ones ones_like optim outer pad permute pi pow
        preserve_format prod quantile rand rand_like randint randint_like randn randn_like random randperm ravel
        real relu remainder repeat_interleave reshape roll rot90 round rsqrt searchsorted select
        set_float32_matmul_precision set_grad_enabled set_num_threads set_printoptions set_rng_state sigmoid
        sign sin sinh softmax sort split sqrt square squeeze stack std std_mean sub sum svd swapaxes t take
        take_along_dim tan tanh tensor tensordot tile topk trace transpose tril tril_indices triu triu_indices
        uint8 unbind unflatten unfold unique unravel_index unsqueeze var var_mean vmap vstack where zeros
        zeros_like log_softmax"""
    ),
    "torch.autograd": words("Function grad"),
    "torch.autograd.functional": words("hessian jacobian"),
    "torch.backends": words("mps"),
    "torch.cuda": words("is_available manual_seed"),
    "torch.linalg": words("det eigh inv lstsq matrix_norm norm pinv qr solve svd svdvals vector_norm"),
    "torch.nn": words(
        """AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool2d AlphaDropout AvgPool1d AvgPool2d BCELoss
        BCEWithLogitsLoss BatchNorm1d BatchNorm2d BatchNorm3d ConstantPad2d Conv1d Conv2d Conv3d ConvTranspose1d
        ConvTranspose2d CrossEntropyLoss Dropout Dropout1d Dropout2d ELU Embedding Flatten Fold GELU GRU
        GroupNorm Hardswish HuberLoss Identity InstanceNorm2d KLDivLoss L1Loss LSTM LayerNorm LazyBatchNorm2d
        LazyConv2d LazyLinear LeakyReLU Linear LogSoftmax MSELoss MaxPool1d MaxPool2d MaxUnpool2d Mish Module
        ModuleDict ModuleList MultiheadAttention NLLLoss PReLU Parameter ParameterDict ParameterList
        PixelShuffle PixelUnshuffle RNN ReLU ReLU6 ReflectionPad2d ReplicationPad2d Sequential SiLU Sigmoid
        SmoothL1Loss Softmax Softplus Tanh TransformerEncoder TransformerEncoderLayer Unflatten Unfold Upsample
        ZeroPad2d"""
    ),
    "torch.nn.functional": words(
        """adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d avg_pool1d avg_pool2d batch_norm
        binary_cross_entropy binary_cross_entropy_with_logits conv1d conv2d conv3d conv_transpose1d
        conv_transpose2d cosine_similarity cross_entropy dropout dropout2d elu embedding fold gelu group_norm
        hardswish huber_loss instance_norm interpolate kl_div l1_loss layer_norm leaky_relu linear log_softmax
        logsigmoid max_pool1d max_pool2d max_unpool2d mish mse_loss nll_loss normalize one_hot pad
        pairwise_distance pixel_shuffle pixel_unshuffle prelu relu relu6 relu_ scaled_dot_product_attention sigmoid
        silu smooth_l1_loss softmax softmin softplus tanh unfold"""
    ),
    "torch.nn.init": words(
        """constant_ dirac_ eye_ kaiming_normal_ kaiming_uniform_ normal_ ones_ orthogonal_ trunc_normal_ uniform_
        xavier_normal_ xavier_uniform_ zeros_"""
    ),
    "torch.nn.utils": words("clip_grad_norm_ clip_grad_value_ parameters_to_vector vector_to_parameters"),
    "torch.optim": words("Adagrad Adam AdamW NAdam Optimizer RAdam RMSprop SGD"),
    "torch.optim.lr_scheduler": words(
        """ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LRScheduler LambdaLR
        LinearLR MultiStepLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR"""
    ),
    "torch.utils": frozenset(),
    "torch.utils.data": words("ConcatDataset DataLoader Dataset RandomSampler Subset TensorDataset random_split"),
    "tqdm": words("tqdm trange"),
    "tqdm.auto": words("tqdm trange"),
    "typing": words(
        """Any Callable ClassVar Dict Final Generic Iterable Iterator List Literal NamedTuple Optional Protocol
        Sequence Set Tuple Type TypeVar Union cast"""
    ),
    "warnings": words("catch_warnings filterwarnings simplefilter warn"),
}
WHOLE = ("augment", "check", "explain", "ledger", "models", "ops", "viz")  # of cnnlib: all that these define

ATTRIBUTES = words(  # of arrays, tensors, networks, optimizers, texts, lists, sets and dicts
    """T accumulate at outer reduce reduceat all any argmax argmin argpartition argsort astype base byteswap choose
    clip compress conj conjugate copy cumprod cumsum data diagonal dot dtype fill flags flat flatten imag item
    itemsize mT max mean min nbytes ndim nonzero partition prod put ravel real repeat reshape resize round
    searchsorted setflags shape size sort squeeze std strides sum swapaxes take tobytes tolist trace transpose
    var view bits c_contiguous f_contiguous char descr eps fields isbuiltin kind max min name names newbyteorder
    num str smallest_normal tiny type writeable contiguous beta binomial bytes choice dirichlet exponential
    gamma geometric integers laplace multinomial normal permutation permuted poisson rand randint randn random
    seed shuffle spawn standard_normal triangular uniform abs abs_ absolute acos add add_ addcdiv_ addcmul_
    addmm addmm_ all allclose amax amin angle argwhere asin atan backward baddbmm bernoulli bernoulli_ bfloat16
    bincount bmm bool byte ceil cdist chunk clamp clamp_ clamp_min clamp_max clone contiguous copy_ cos cosh
    count_nonzero cpu cross cuda cummax cummin cumprod cumsum det detach detach_ device diag diag_embed diff dim
    dim_order div div_ dot double element_size eq equal erf exp exp_ expand expand_as expm1 fill_ fill_diagonal_
    flip fliplr flipud float floor fmod gather ge get_device grad grad_fn gt half histc hypot index_add
    index_add_ index_copy_ index_fill_ index_select index_put_ int inverse is_contiguous is_cuda
    is_floating_point is_leaf is_set_to isclose isfinite isinf isnan isreal kthvalue le lerp lerp_ log log10
    log1p log2 log_softmax logical_and logical_not logical_or logsumexp long lt mH manual_seed masked_fill
    masked_fill_ masked_scatter masked_select matmul maximum median minimum mm moveaxis movedim mul mul_
    multinomial nan_to_num nan_to_num_ narrow ndimension ne neg nelement new_empty new_full new_ones new_tensor
    new_zeros norm normal_ numel numpy permute pow pow_ prelu put_ quantile random_ reciprocal relu relu_
    remainder renorm repeat_interleave requires_grad requires_grad_ reshape_as resize_as_ retain_grad roll rot90
    rsqrt scatter scatter_ scatter_add scatter_add_ select short sigmoid sigmoid_ sign sin sinh slice_scatter
    softmax split split_with_sizes sqrt sqrt_ square squeeze_ stride sub sub_ sum_to_size svd t t_ tan tanh
    tensor_split tile to topk tril tril_ triu triu_ true_divide trunc type_as unbind unflatten unfold uniform_
    unique unsqueeze unsqueeze_ values indices var_mean vdot view_as where xlogy_ zero_ zeros add_module affine
    apply bias buffers children dilation embedding_dim eps eval extra_repr forward get_parameter get_submodule
    groups half in_channels in_features inplace kernel_size load_state_dict momentum modules named_buffers
    named_children named_modules named_parameters normalized_shape num_batches_tracked num_features num_heads
    num_layers out_channels out_features output_padding p padding padding_mode parameters register_buffer
    register_forward_hook register_forward_pre_hook register_module register_parameter remove running_mean
    running_var state_dict track_running_stats train training weight zero_grad add_param_group defaults
    last_epoch get_last_lr param_groups state step apply grad jacobian hessian save_for_backward saved_tensors
    mark_non_differentiable needs_input_grad batch_size dataset is_available images labels classes source append
    appendleft clear count extend extendleft index insert pop popleft remove reverse rotate add difference
    difference_update discard intersection intersection_update isdisjoint issubset issuperset
    symmetric_difference union update elements fromkeys get items keys most_common move_to_end popitem
    setdefault subtract total capitalize casefold center endswith expandtabs find isalnum isalpha isascii
    isdecimal isdigit islower isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix
    removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase
    title translate upper zfill encode decode hex as_integer_ratio bit_count bit_length denominator is_integer
    numerator from_bytes to_bytes start stop args add_note message with_traceback close send throw cache_clear
    cache_info func keywords group groups groupdict span sub subn findall finditer fullmatch match search
    pattern fget getter setter deleter default default_factory field fields value auto axes bar barh colorbar
    fill_between get_xlim get_ylim grid hist imshow legend plot scatter set set_axis_off set_title set_xlabel
    set_xlim set_xticks set_ylabel set_ylim set_yticks text tick_params axhline axvline suptitle tight_layout
    update_layout annotate iternext multi_index finished iterindex operands nin nout desc set_description
    set_postfix"""
)
NEVER = words(  # not even where the learner's own class has one: what reads and writes files, or is another module
    """ag_frame ctypes ctypeslib cr_frame dump dumps f_back f_builtins f_code f_globals f_lineno f_locals f_trace format
    format_map from_file fromfile fromstring genfromtxt gi_code gi_frame gi_yieldfrom load loadtxt memmap mro
    print_figure print_png save savefig savetxt savez share_memory_ storage tb_frame tb_next tofile
    untyped_storage"""
)


@functools.cache
def allowed_in(module):
    """The names of a module that an answer may use, or None if the module is not on the list. Provided."""
    if module.removeprefix("cnnlib.") in WHOLE and module.startswith("cnnlib."):
        path = PACKAGE / f"{module.removeprefix('cnnlib.')}.py"
        tree = ast.parse(path.read_text(encoding="utf-8") if path.exists() else "")
        return frozenset(
            node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"
        )
    return MODULES.get(module)


@functools.cache
def is_module(name):
    """Whether a dotted name is a module on the list, or leads to one: "numpy", "torch.nn", "cnnlib". Provided."""
    listed = [*MODULES, *(f"cnnlib.{name}" for name in WHOLE)]
    return any(module == name or module.startswith(name + ".") for module in listed)


def split(dotted):
    """The module, the name in it and the attributes behind that of a dotted name: "numpy", "add", ["reduce"]. Provided.

    What is not in the module "numpy" but lies one level deeper has the longest listed module in front.
    """
    parts = dotted.split(".")
    end = next((n for n in range(len(parts), 0, -1) if is_module(".".join(parts[:n]))), 0)
    return ".".join(parts[:end]), (parts[end] if end < len(parts) else None), parts[end + 1 :]


def refused(dotted):
    """What of a module's dotted name is not on the list, or None if all of it is: "numpy.save". Provided."""
    module, name, behind = split(dotted)
    if not module:
        return dotted
    if name is None:
        return None
    if name not in (allowed_in(module) or ()):
        return f"{module}.{name}"
    return next((f"{dotted}" for part in behind if part not in ATTRIBUTES), None)
