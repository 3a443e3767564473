from .convention import MeshError, convex_parts, meshes_digest, normalise, shaded
from .files import import_meshes, read_mesh, read_meshes
from .make import generate_meshes, make_meshes, write_meshes
from .measures import as_elongated, differences, self_intersections, thickness, variety
from .mend import repair
